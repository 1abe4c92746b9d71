//! The commands, one after the other: what a caller of the command line sees.

mod create;
mod delete;
mod global;
mod kill;
mod list;
mod pause;
mod run;
mod spec;
mod state;
mod update;

use crate::harness::Suite;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("lifecycle");
    global::add(&mut suite);
    spec::add(&mut suite);
    create::add(&mut suite);
    run::add(&mut suite);
    state::add(&mut suite);
    list::add(&mut suite);
    kill::add(&mut suite);
    delete::add(&mut suite);
    pause::add(&mut suite);
    update::add(&mut suite);
    suite.needs(&[]);
    suite
}
