//! `check`: everything that can be wrong with a policy folder, and how it is told.
