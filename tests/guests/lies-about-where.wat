;; Answers with a list that lies outside its memory.
;; ends: Trap "out of bounds"
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\00\00\00\00\f0\ff\ff\7f\ff\ff\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (i32.const 16)))
