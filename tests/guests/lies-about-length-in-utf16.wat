;; Answers with text whose length says that it is UTF-16 after all, and reaches beyond the memory.
;; strings: latin1+utf16
;; ends: Trap "out of bounds"
(module
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $say (i32.const 128) (i32.const 0x8000ffff) (i32.const 1))))
