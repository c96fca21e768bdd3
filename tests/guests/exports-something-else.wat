;; Exports the world's function with another type.
;; ends: World "has another type: after `func(` there should be"
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $t (export "{function}" (func $f)))
  (export "{interface}" (instance $t)))
