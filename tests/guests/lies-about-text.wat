;; Answers with bytes that are no UTF-8.
;; ends: Trap "utf-8"
(module
  (memory (export "memory") 2)
  (data (i32.const 128) "\ff\fe\c0\80")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $say (i32.const 128) (i32.const 4) (i32.const 1))))
