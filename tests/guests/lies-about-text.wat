;; Answers with bytes that are no UTF-8.
;; ends: Trap "utf-8"
(module
  (memory (export "memory") 1)
  (data (i32.const 64) "\ff\fe\c0\80")
  (data (i32.const 16) "\00\00\00\00\20\00\00\00\01\00\00\00")
  (data (i32.const 32) "\40\00\00\00\04\00\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (i32.const 16)))
