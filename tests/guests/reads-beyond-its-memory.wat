;; Reads where the next guest's memory might be.
;; ends: Trap "memory that it does not have"
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (i32.load (i32.const 0x7ffffff0))))
