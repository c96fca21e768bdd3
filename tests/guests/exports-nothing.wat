;; Implements no world.
;; ends: World "{interface}"
(component)
