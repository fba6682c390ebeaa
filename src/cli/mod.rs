//! What belongs to the program and not to the library: the command line, the terminal, the clock.
//!
//! | file | answers |
//! |---|---|
//! | [`args`] [`options`] [`values`] | what the command line may say |
//! | [`request`] | what a command asks for |
//! | [`settings`] [`cipher`] [`recipients`] [`cut`] [`paths`] [`unlock`] [`custody`] [`told`] | what that means: flags resolved, keys opened, the clock read |
//! | [`scan`] [`verify`] [`harvest`] [`decrypt`] [`reencrypt`] [`encrypt`] [`sign`] [`migrate`] [`check`] [`restore`] [`store`] [`keys`] | a command each |
//! | [`job`] [`pipe`] | an archive's run; standard input to standard output |
//! | [`printer`] [`progress`] [`diagnostic`] | what a person sees |
//! | [`interrupt`] | signals |

pub(crate) mod args;
mod check;
mod cipher;
mod custody;
mod cut;
mod decrypt;
pub(crate) mod diagnostic;
mod encrypt;
mod harvest;
mod interrupt;
mod job;
mod keys;
mod migrate;
mod options;
mod paths;
mod pipe;
pub(crate) mod printer;
mod progress;
mod recipients;
mod reencrypt;
mod request;
mod restore;

mod scan;
mod settings;
mod sign;
mod store;
mod told;

mod unlock;
mod values;
mod verify;

use args::{Cli, Command};
use p7mill::Result;
use printer::Printer;

/// Does what the command line asks; the exit code.
pub(crate) fn run(arguments: &Cli) -> Result<u8> {
    let printer = Printer::new(&arguments.talk);
    let talk = &arguments.talk;
    match &arguments.command {
        Command::Scan(arguments) => scan::run(arguments, talk, &printer),
        Command::Verify(arguments) => verify::run(arguments, talk, &printer),
        Command::Harvest(arguments) => harvest::run(arguments, talk, &printer),
        Command::Decrypt(arguments) => decrypt::run(arguments, talk, &printer),
        Command::Reencrypt(arguments) => reencrypt::run(arguments, talk, &printer),
        Command::Sign(arguments) => sign::run(arguments, talk, &printer),
        Command::Encrypt(arguments) => encrypt::run(arguments, talk, &printer),
        Command::Migrate(arguments) => migrate::run(arguments, talk, &printer),
        Command::Check(arguments) => check::run(arguments, &printer),
        Command::Restore(arguments) => restore::run(arguments, talk, &printer),
        Command::Store(command) => store::run(command, &printer),
        Command::Keys(command) => keys::run(command, &printer),
    }
}
