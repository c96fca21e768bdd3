;; Answers with UTF-16 at an odd address.
;; strings: utf16
;; ends: Trap "aligned"
(module
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $say (i32.const 129) (i32.const 3) (i32.const 1))))
