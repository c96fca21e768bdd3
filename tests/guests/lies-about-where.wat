;; Answers with a list that lies outside its memory.
;; ends: Trap "out of bounds"
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $list (i32.const 0x7ffffff0) (i32.const 0xffff))))
