"""How good a student is: asked case by case as the daemon asks, scored beside what costs nothing, told in its card."""
