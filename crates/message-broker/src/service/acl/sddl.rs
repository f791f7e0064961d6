//! Access lists as text, in the Security Descriptor Definition Language (MS-DTYP, section 2.5.1), which is the same in every
//! language of Windows.

/// Groups that hold more than those whom a key is for.
const STRANGERS: [(&str, &str); 7] = [
    ("WD", "Everyone"),
    ("BU", "Users"),
    ("AU", "Authenticated Users"),
    ("IU", "Interactive"),
    ("NU", "Network"),
    ("BG", "Guests"),
    ("AN", "Anonymous"),
];

/// Who of the groups above is allowed anything; each once, in the order of the list.
pub(super) fn strangers(text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    // A descriptor holds owner, group and two lists; the entries of the list of rights follow `D:`, those of auditing `S:`.
    for list in text.split("D:").skip(1).map(|rest| rest.split("S:(").next().unwrap_or(rest)) {
        for entry in list.split('(').skip(1).filter_map(|rest| rest.split(')').next()) {
            let mut fields = entry.split(';');
            let (kind, trustee) = (fields.next().unwrap_or_default(), fields.nth(4).unwrap_or_default());
            let known = STRANGERS.iter().find(|(short, _)| *short == trustee).map(|(_, name)| *name);
            if let Some(name) = known.filter(|name| kind == "A" && !found.contains(name)) {
                found.push(name);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_strangers_are_found_and_services_are_none() {
        let inherited = "ca.key\r\nD:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)\r\n";
        assert_eq!(strangers(inherited), ["Users", "Authenticated Users"]);
        let closed = "ca.key\r\nD:PAI(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1301bf;;;S-1-5-80-1-2-3-4-5)\r\n";
        assert!(strangers(closed).is_empty());
    }

    #[test]
    fn who_is_denied_or_only_audited_reads_nothing() {
        assert!(strangers("O:BAG:SYD:P(D;;FA;;;WD)(A;;FA;;;BA)S:(AU;SAFA;FA;;;WD)").is_empty());
    }
}
