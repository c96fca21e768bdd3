;; Answers with 1 GiB: the same 64 KiB again and again.
;; ends: Output "larger than 8 MiB"
(module
  (memory (export "memory") 16)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $say (i32.const 0) (i32.const 65536) (i32.const 16384))))
