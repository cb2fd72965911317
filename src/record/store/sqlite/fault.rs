//! What the system and SQLite say, as what can go wrong with a store.

use rusqlite::ErrorCode;

use crate::record::store::StoreError;

pub(super) fn of_io(place: &str, error: &std::io::Error) -> StoreError {
    let (place, what) = (place.to_owned(), error.to_string());
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full { place, what },
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly { place, what }
        }
        _ => StoreError::Unusable { place, what },
    }
}

pub(super) fn of_sqlite(place: &str, error: &rusqlite::Error) -> StoreError {
    let (place, what) = (place.to_owned(), one_line(&error.to_string()));
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        // Only damage makes a column hold what never was written into it.
        return StoreError::Damaged { place, what };
    };
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full { place, what },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Locked { place },
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly { place, what },
        ErrorCode::NotADatabase => StoreError::NotAStore { place },
        ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::Unknown => {
            StoreError::Damaged { place, what }
        }
        _ => StoreError::Unusable { place, what },
    }
}

/// SQLite quotes whole statements, and from a damaged file anything at all: what is told is one short line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if line.len() > 160 {
            return line + " …";
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.extend(word.chars().take(80));
    }
    line
}
