//! pagewalk
