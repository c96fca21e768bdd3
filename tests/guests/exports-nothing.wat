;; Implements no world.
;; ends: World "transform"
(component)
