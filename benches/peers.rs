//! What holdpoint costs, as a ratio to a peer or a limit measured in the same run. `cargo bench` prints the table;
//! `cargo bench -- P3` one row. Nothing is asserted: machines differ, ratios less so.

mod measure;
mod rows;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    println!("| id | work | holdpoint | peer or limit | ratio |");
    println!("|---|---|---|---|---|");
    for (id, row) in rows::ROWS {
        if wanted.is_empty() || wanted.iter().any(|w| w == id) {
            for line in row() {
                println!("| {id} | {} | {} | {} | {} |", line.work, line.ours, line.peer, line.ratio);
            }
        }
    }
}
