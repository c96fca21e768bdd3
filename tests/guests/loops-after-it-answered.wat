;; Answers, and then never returns from its clean-up.
;; ends: Deadline "was not done after"
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (i32.const 16))
  (func {post-return} (loop $again (br $again))))
