;; Answers with half of a pair of UTF-16.
;; strings: utf16
;; ends: Trap "unpaired surrogate"
(module
  (memory (export "memory") 2)
  (data (i32.const 128) "a\00\00\d8b\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $say (i32.const 128) (i32.const 3) (i32.const 1))))
