"""Training labs: their folders, a learner's lab, what it is graded by, and how far the learner has come."""
