//! Commands: started in a process group of their own, bounded, and never outliving their step.
