;; Answers with a hundred thousand empty manifests.
;; ends: Output "100000 manifests, more than 10000"
(module
  (memory (export "memory") 32)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (i32.store offset=4 (i32.const 16) (i32.const 65536))
    (i32.store offset=8 (i32.const 16) (i32.const 100000))
    (i32.const 16)))
