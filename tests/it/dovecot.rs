//! Dovecot serves what was migrated.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::peers::peer;
use crate::support::sample::migrated;
use crate::support::table::rows;
use crate::support::tools::judge;
use crate::support::trees;

/// A server on loopback with a configuration, a log and a mailbox of its own.
struct Dovecot {
    folder: tempfile::TempDir,
    server: Child,
    port: u16,
}

impl Dovecot {
    /// Serves a copy of the Maildir `source`; whatever it is told of is changed in the copy.
    fn serve(mut program: Command, source: &Path, prepare: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mail = folder.path().join("mail");
        trees::copy(source, &mail);
        for sub in ["cur", "new", "tmp"] {
            fs::create_dir_all(mail.join(sub)).unwrap();
        }
        prepare(&mail);
        let root = rustix::process::geteuid().is_root();
        // Dovecot gives mail to nobody who is root.
        let (uid, gid) = if root {
            (65_534, 65_534)
        } else {
            (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            )
        };
        let open =
            |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        open(folder.path());
        if root {
            for entry in walkdir::WalkDir::new(&mail) {
                chown(entry.unwrap().path(), Some(uid), Some(gid)).unwrap();
            }
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mine = if root {
            String::new()
        } else {
            let name = |flag| {
                let said = Command::new("id").arg(flag).output().unwrap().stdout;
                String::from_utf8(said).unwrap().trim().to_owned()
            };
            let (user, group) = (name("-un"), name("-gn"));
            format!(
                "default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n\
                 service anvil {{\n chroot =\n}}\nservice imap-login {{\n chroot =\n}}\n"
            )
        };
        let at = folder.path().display();
        let config = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/warnings.log\ninfo_log_path = {at}/info.log\n\
             protocols = imap\nlisten = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\n\
             mail_location = maildir:{at}/mail\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
             passdb {{\n driver = static\n args = nopassword=y\n}}\n\
             userdb {{\n driver = static\n args = uid={uid} gid={gid} home={at}\n}}\n\
             {mine}service imap-login {{\n inet_listener imap {{\n  port = {port}\n }}\n inet_listener imaps {{\n  port = 0\n }}\n}}\n"
        );
        let file = folder.path().join("dovecot.conf");
        fs::write(&file, config).unwrap();
        let server = program
            .args(["-F", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let served = Self {
            folder,
            server,
            port,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "it does not listen: {}",
                served.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        served
    }

    fn mail(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// What a client is told, held against the files.
    fn judged(&self) -> String {
        judge(
            "imap.py",
            &[Path::new(&self.port.to_string()), &self.mail()],
        )
    }

    /// Everything that it warned of.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("warnings.log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let pid = i32::try_from(self.server.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.server.wait();
    }
}

/// Red when `sized` leaves `S=` in the names of changed messages as it was, and when the keyword
/// letters are dropped from names.
#[test]
fn a_migrated_maildir_is_served_without_a_warning_and_as_it_was() {
    let (Some(program), Some(_)) = (peer("dovecot"), peer("python3")) else {
        return;
    };
    let migrated = migrated();
    // What was not read is copied as it is, and is no message.
    let unread: Vec<PathBuf> = rows(&migrated.report("sources.csv"))
        .iter()
        .filter(|row| row.at("status").starts_with("skipped"))
        .filter_map(|row| {
            row.at("path")
                .strip_prefix("archive/curator/")
                .map(PathBuf::from)
        })
        .collect();
    assert_eq!(unread.len(), 1);
    let source = migrated.out().join("archive/curator");
    let served = Dovecot::serve(program, &source, |mail| {
        for file in &unread {
            fs::remove_file(mail.join(file)).unwrap();
        }
    });
    let said = served.judged();
    println!("{said}");
    let messages = rows(&migrated.report("messages.csv"))
        .iter()
        .filter(|row| row.at("mailbox").starts_with("archive/curator") && row.at("part").is_empty())
        .count();
    assert!(
        said.contains(&format!("3 folders, {messages} messages")),
        "{said}"
    );
    assert!(said.contains("subscribed: Loans.2016 Sent"), "{said}");
    assert!(
        !said.contains(" 0 flagged") && !said.contains(" 0 with keywords"),
        "{said}"
    );
    // One name in the sample counts a binary body as it was sent; what is not changed keeps its name.
    let lies = said.lines().last().unwrap();
    assert!(
        lies.starts_with("sizes that are not so: 1610353005.M785673P1812.mail,")
            && lies.matches(".mail").count() == 1,
        "{lies}"
    );
    assert_eq!(served.log(), "", "Dovecot's warnings");
}
