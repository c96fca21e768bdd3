;; Answers with the same 60 kB a thousand times.
;; ends: Output "larger than 8 MiB"
(module
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (local $i i32)
    (loop $more
      (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 8))) (i32.const 0))
      (i32.store offset=4 (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 8))) (i32.const 60000))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))
    (i32.store offset=4 (i32.const 60000) (i32.const 65536))
    (i32.store offset=8 (i32.const 60000) (i32.const 1000))
    (i32.const 60000)))
