"""The configuration's models, a module for each stage: an edit of one reruns its stage only."""
