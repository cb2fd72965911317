//! What holdpoint costs, as a ratio to a peer or a limit measured in the same run. `cargo bench` prints the table;
//! `cargo bench -- P3 P4` some rows; `cargo bench -- P3 full` also what takes long. Nothing is asserted but that every
//! command ends well: machines differ, ratios less so.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod measure;
mod rows;

use rows::Scale;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let scale = if words.iter().any(|w| w == "full") { Scale::Full } else { Scale::Usual };
    let wanted: Vec<&String> = words.iter().filter(|w| *w != "full").collect();
    println!("| id | work | holdpoint | peer or limit | ratio |");
    println!("|---|---|---|---|---|");
    for (id, row) in rows::ROWS {
        if wanted.is_empty() || wanted.iter().any(|w| w == id) {
            for line in row(scale) {
                println!("| {id} | {} | {} | {} | {} |", line.work, line.ours, line.peer, line.ratio);
            }
        }
    }
}
