//! A file system that breaks when it is told to.

mod memory_fs;
mod memory_state;

#[doc(inline)]
pub use self::{
    memory_fs::MemoryFs,
    memory_state::{Fault, Operation},
};
