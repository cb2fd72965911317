//! Numbers that prove themselves: check digits of cards, bank accounts, telephone numbers and national ids.
//!
//! A number without a checksum is no finding: too many other numbers look like it. This module does no I/O.

use std::net::IpAddr;

/// The lengths of an IBAN by country (ISO 13616 registry).
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// The country codes of telephone numbers (ITU-T E.164) that have two digits; 1 and 7 have one, all others three.
const TWO_DIGITS: &[u8] = &[
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62,
    63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];
/// The first two digits of the country codes that have three.
const THREE_DIGITS: &[u8] =
    &[21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99];

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit))
}

/// Tells whether digits pass the Luhn check (ISO/IEC 7812-1, annex B).
pub(super) fn luhn(digits: &[u32]) -> bool {
    let doubled = |(place, digit): (usize, &u32)| match place % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Tells whether a text is the number of a payment card: an issuer's range, its length, and the Luhn check.
pub(super) fn is_card(text: &str) -> bool {
    let digits = digits(text);
    is_issued(&digits) && luhn(&digits)
}

/// Tells whether a number lies in the range of an issuer and is as long as its numbers are.
fn is_issued(digits: &[u32]) -> bool {
    if digits.len() < 13 {
        return false;
    }
    let lead = number(&digits[..4]);
    matches!(
        (lead, digits.len()),
        (4000..=4999, 16 | 19)
            | (5100..=5599 | 2221..=2720, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (3000..=3059 | 3600..=3699 | 3800..=3999, 14)
            | (3528..=3589, 16)
            | (6011 | 6440..=6599, 16 | 19)
            | (6200..=6299, 16..=19)
            | (5018 | 5020 | 5038 | 6304 | 6759 | 6761..=6763, 16 | 18 | 19)
    )
}

/// Finds an IBAN at the beginning of a text and tells where it ends; nothing when the country, the length or the
/// check digits (ISO 7064, MOD 97-10) are wrong.
pub(super) fn iban(text: &str) -> Option<usize> {
    let wanted = IBAN_LENGTHS.iter().find(|(country, _)| text.starts_with(country))?.1;
    let signs: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| *c != ' ').take(wanted).collect();
    let (last, _) = *signs.get(wanted - 1)?;
    if text[last + 1..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let mut turned = signs[4..].iter().chain(&signs[..4]);
    let rest = turned.try_fold(0, |rest: u32, (_, c)| {
        let value = c.to_digit(36)?;
        Some(if value < 10 { (rest * 10 + value) % 97 } else { (rest * 100 + value) % 97 })
    });
    (rest == Some(1)).then_some(last + 1)
}

/// Tells whether a text is a telephone number in the international form: a country code that is assigned, 8 to 15
/// digits. Without any separator it takes 11, as shorter ones may be sums. Numbers for films (+1 … 555-01xx) are none.
pub(super) fn is_phone(text: &str) -> bool {
    let digits = digits(text);
    let bare = text.chars().skip(1).all(|c| c.is_ascii_digit());
    if !(if bare { 11..=15 } else { 8..=15 }).contains(&digits.len()) {
        return false;
    }
    let lead = (digits[0] * 10 + digits[1]) as u8;
    let fictional = digits[0] == 1 && digits.len() == 11 && digits[4..9] == [5, 5, 5, 0, 1];
    let assigned = match digits[0] {
        1 => digits.len() == 11 && digits[1] >= 2,
        7 => digits.len() == 11,
        _ => TWO_DIGITS.contains(&lead) || THREE_DIGITS.contains(&lead),
    };
    assigned && !fictional
}

/// Tells whether a text is a Brazilian CPF: two check digits modulo 11.
pub(super) fn is_cpf(text: &str) -> bool {
    let digits = digits(text);
    let check = |length: usize| {
        let sum: u32 = digits[..length].iter().enumerate().map(|(n, d)| d * (length as u32 + 1 - n as u32)).sum();
        let rest = sum * 10 % 11 % 10;
        digits[length] == rest
    };
    digits.len() == 11 && digits.iter().any(|d| *d != digits[0]) && check(9) && check(10)
}

/// Tells whether a text is a Spanish DNI or NIE: a letter modulo 23. Eight digits that are a date are none.
pub(super) fn is_dni(text: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let Some((body, letter)) = plain.split_at_checked(plain.len().saturating_sub(1)) else { return false };
    let body = match body.as_bytes().first() {
        Some(b'X') => format!("0{}", &body[1..]),
        Some(b'Y') => format!("1{}", &body[1..]),
        Some(b'Z') => format!("2{}", &body[1..]),
        _ if is_date(body) => return false,
        _ => body.to_owned(),
    };
    let Ok(value) = body.parse::<usize>() else { return false };
    body.len() == 8 && letter.as_bytes() == [LETTERS[value % 23]]
}

/// Tells whether eight digits are a day of the twentieth or the twenty-first century.
fn is_date(digits: &str) -> bool {
    let part = |range: std::ops::Range<usize>| digits.get(range).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    (1900..2100).contains(&part(0..4)) && (1..=12).contains(&part(4..6)) && (1..=31).contains(&part(6..8))
}

/// Tells whether a text is an Italian codice fiscale: a check letter over odd and even places.
pub(super) fn is_codice_fiscale(text: &str) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let signs: Vec<u32> =
        text.chars().filter_map(|c| c.to_digit(36)).map(|value| if value >= 10 { value - 10 } else { value }).collect();
    if signs.len() != 16 {
        return false;
    }
    let value = |(n, sign): (usize, &u32)| if n % 2 == 0 { ODD[*sign as usize] } else { *sign };
    signs[..15].iter().enumerate().map(value).sum::<u32>() % 26 == signs[15]
}

/// Tells whether a text is a Finnish henkilötunnus: a date, and a sign modulo 31.
pub(super) fn is_hetu(text: &str) -> bool {
    const SIGNS: &[u8] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let all = digits(&text[..6]);
    let (day, month) = (all[0] * 10 + all[1], all[2] * 10 + all[3]);
    let value = text[..6].chars().chain(text[7..10].chars()).filter_map(|c| c.to_digit(10));
    let value = value.fold(0, |sum: u64, digit| sum * 10 + u64::from(digit));
    let sign = SIGNS[(value % 31) as usize];
    (1..=31).contains(&day) && (1..=12).contains(&month) && text.as_bytes()[10] == sign
}

/// Tells whether a text is a French NIR: a key of 97 less the number modulo 97; 2A and 2B are the two of Corsica.
pub(super) fn is_nir(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    let plain = plain.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let digits = digits(&plain);
    digits.len() == 15 && 97 - number(&digits[..13]) % 97 == number(&digits[13..])
}

/// Tells whether a text is a Belgian national number: 97 less the number modulo 97, with a 2 before it for those born
/// since 2000.
pub(super) fn is_rrn(text: &str) -> bool {
    let digits = digits(text);
    let (value, check) = (number(&digits[..9]), number(&digits[9..]));
    let valid = |value: u64| 97 - value % 97 == check;
    let (month, day) = (digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]);
    (1..=12).contains(&month) && (1..=31).contains(&day) && (valid(value) || valid(2_000_000_000 + value))
}

/// Tells whether a text is the number of a Chinese resident: a check sign of ISO 7064, MOD 11-2 (GB 11643).
pub(super) fn is_resident_id(text: &str) -> bool {
    const SIGNS: &[u8] = b"10X98765432";
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits(&text[..17]).iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    text.as_bytes()[17] == SIGNS[(sum % 11) as usize]
}

/// Tells whether a text is an address of the public internet, not of a private, local or documentation network.
pub(super) fn is_public_address(text: &str) -> bool {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            let odd = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation();
            !(odd || shared || v4.octets()[0] == 0 || v4.octets()[0] >= 224)
        }
        Ok(IpAddr::V6(v6)) => v6.segments()[0] & 0xe000 == 0x2000 && v6.segments()[..2] != [0x2001, 0x0db8],
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Completes digits by the one that makes them pass.
    fn with_check_digit(mut digits: Vec<u32>) -> String {
        digits.push(0);
        let last = digits.len() - 1;
        while !luhn(&digits) {
            digits[last] += 1;
        }
        digits.iter().map(u32::to_string).collect()
    }

    proptest! {
        #[test]
        fn cards_of_every_issuer_are_found_and_a_changed_digit_is_noticed(
            issuer in prop::sample::select(vec![
                (4u64, 16usize), (51, 16), (55, 16), (2221, 16), (2720, 16), (34, 15), (37, 15), (36, 14), (3528, 16),
                (6011, 16), (65, 19), (62, 17),
            ]),
            rest in prop::collection::vec(0u32..10, 19),
            at in 4usize..13,
            by in 1u32..10,
        ) {
            let mut digits = digits(&issuer.0.to_string());
            digits.extend(&rest[..issuer.1 - 1 - digits.len()]);
            let card = with_check_digit(digits.clone());
            prop_assert!(is_card(&card), "{card}");
            // One changed digit never passes, whatever it is (ISO/IEC 7812-1).
            let mut wrong: Vec<u32> = super::digits(&card);
            wrong[at] = (wrong[at] + by) % 10;
            prop_assert!(!luhn(&wrong), "{card} {wrong:?}");
        }

        #[test]
        fn accounts_of_every_country_are_found_and_a_changed_digit_is_noticed(
            country in prop::sample::select(IBAN_LENGTHS.to_vec()),
            body in prop::collection::vec(0u32..10, 28),
            at in 4usize..15,
            by in 1u32..10,
        ) {
            let body: String = body[..country.1 - 4].iter().map(u32::to_string).collect();
            let all = (2..=98).map(|check| format!("{}{check:02}{body}", country.0));
            let right: Vec<String> = all.filter(|text| iban(text).is_some()).collect();
            prop_assert_eq!(right.len(), 1);
            prop_assert_eq!(iban(&format!("{} and more", right[0])), Some(country.1));
            let mut wrong: Vec<u8> = right[0].bytes().collect();
            let at = at.min(wrong.len() - 1);
            wrong[at] = b'0' + (wrong[at] - b'0' + by as u8) % 10;
            prop_assert_eq!(iban(std::str::from_utf8(&wrong).expect("digits")), None);
        }
    }

    #[test]
    fn national_ids_are_told_by_their_check_signs() {
        type Row = (fn(&str) -> bool, &'static str, &'static str);
        let table: &[Row] = &[
            (is_cpf, "111.444.777-35", "111.444.777-36"),
            (is_dni, "12345678Z", "12345678A"),
            (is_dni, "X1234567L", "X1234567T"),
            (is_codice_fiscale, "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
            (is_hetu, "131052-308T", "131052-308U"),
            (is_nir, "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
            (is_rrn, "85.07.30-033.28", "85.07.30-033.29"),
            (is_resident_id, "11010519491231002X", "110105194912310021"),
        ];
        for (is, right, wrong) in table {
            assert!(is(right), "{right}");
            assert!(!is(wrong), "{wrong}");
        }
        assert!(!is_dni("20240101X") && !is_cpf("111.111.111-11"));
    }

    #[test]
    fn telephone_numbers_have_a_country() {
        for right in ["+49 30 901820", "+1 212-555-7890", "+442079460000", "+358 9 1234567"] {
            assert!(is_phone(right), "{right}");
        }
        for wrong in ["+1 212 555 0123", "+12345678", "+210 1234", "+83 123 456 789", "+1 112 555 7890"] {
            assert!(!is_phone(wrong), "{wrong}");
        }
    }

    #[test]
    fn only_addresses_of_the_public_internet_count() {
        for right in ["8.8.8.8", "93.184.215.14", "2606:4700::1111"] {
            assert!(is_public_address(right), "{right}");
        }
        for wrong in ["10.1.2.3", "127.0.0.1", "192.0.2.1", "100.64.0.1", "1.2.3", "2001:db8::1", "::1", "fe80::1"] {
            assert!(!is_public_address(wrong), "{wrong}");
        }
    }
}
