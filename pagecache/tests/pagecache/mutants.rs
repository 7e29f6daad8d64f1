//! Each mutant breaks what the catalogue says, in a search of random schedules of a few operations; without it nothing breaks.
