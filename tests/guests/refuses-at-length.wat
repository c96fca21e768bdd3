;; Refuses with a message of 60 kB of control characters.
;; ends: Refused "…"
(module
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export}
    (memory.fill (i32.const 65536) (i32.const 7) (i32.const 60000))
    (i32.store8 (i32.const 65536) (i32.const 97))
    (i32.store8 (i32.const 125535) (i32.const 97))
    (call $refuse (i32.const 65536) (i32.const 60000))))
