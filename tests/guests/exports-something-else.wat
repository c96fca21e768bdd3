;; Exports the world's function with another type.
;; ends: World "type mismatch"
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $t (export "transform" (func $f)))
  (export "reeve:plugin/transform@0.1.0" (instance $t)))
