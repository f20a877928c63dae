//! When to try again: delays that grow, and a budget for all of them.

mod backoff;
mod budget;

pub use self::{
    backoff::{Backoff, Jitter},
    budget::RetryBudget,
};
