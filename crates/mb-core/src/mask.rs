//! How a sender's number is shown to those who may see that there is one, and not which.

/// Up to eight characters: the first three, `****`, the last two; longer: the first four, `****`, the last four.
pub fn mask_number(number: &str) -> String {
    let count = number.chars().count();
    let (head, tail) = if count <= 8 { (3, 2) } else { (4, 4) };
    let first: String = number.chars().take(head).collect();
    let last: String = number.chars().skip(count.saturating_sub(tail)).collect();
    format!("{first}****{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_hidden_and_so_is_its_length() {
        for (number, masked) in [
            ("+4915110000", "+491****0000"),
            ("+49151100000000", "+491****0000"),
            ("+4912345", "+49****45"),
            ("+49123456", "+491****3456"),
            ("+12", "+12****12"),
            ("é", "é****é"),
            ("", "****"),
        ] {
            assert_eq!(mask_number(number), masked);
        }
    }
}
