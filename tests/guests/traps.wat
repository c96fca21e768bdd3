;; Panics, as a Rust guest does that unwraps nothing.
;; ends: Trap "panic"
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (unreachable)))
