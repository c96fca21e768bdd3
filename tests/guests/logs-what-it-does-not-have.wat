;; Logs 4 GiB that lie outside of its memory.
;; ends: Trap "out of bounds"
(module
  (import "reeve:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (call $log (i32.const 1) (i32.const 64) (i32.const 0xfffffff0))
    (unreachable)))
