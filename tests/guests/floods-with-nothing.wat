;; Answers with a hundred thousand empty texts.
;; ends: Output "100000 manifests, more than 10000"
;; ends as a provider: Output "its request is larger than 1 MiB"
(module
  (memory (export "memory") 64)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  {answers}
  (func {export} (call $say (i32.const 0) (i32.const 0) (i32.const 100000))))
