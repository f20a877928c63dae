//! What several receivers said, as if one had said it.

use spanwright_core::Receipt;

/// Both together: the rejected items are added up, and what was written is kept, the same words once.
pub(crate) fn join(first: Receipt, second: Receipt) -> Receipt {
    if second == Receipt::accepted() {
        return first;
    }
    let rejected = first.rejected().saturating_add(second.rejected());
    let message = match (first.message(), second.message()) {
        (Some(first), Some(second)) if !first.split("; ").any(|known| known == second) => format!("{first}; {second}"),
        (Some(message), _) | (None, Some(message)) => message.to_owned(),
        (None, None) => String::new(),
    };
    Receipt::partial(rejected, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_items_add_up_and_the_same_words_are_kept_once() {
        let all = [
            Receipt::partial(2, "too old"),
            Receipt::accepted(),
            Receipt::partial(1, "no name"),
            Receipt::partial(3, "too old"),
        ];
        let joined = all.into_iter().fold(Receipt::accepted(), join);
        assert_eq!(joined, Receipt::partial(6, "too old; no name"));
        assert_eq!(join(Receipt::accepted(), Receipt::accepted()), Receipt::accepted());
    }
}
