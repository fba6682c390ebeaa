//! Which mailboxes become which, where all are written in one form (`--to-format`).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::discover::OURS;
use super::write::relative;
use super::{FileStatus, Found, Kind, Mailbox, SourceFile};

impl Found {
    /// Has every mailbox written as one of kind `to`, bare CMS objects excepted. Messages that are
    /// files of their own become one mailbox a folder, where they do not stay such.
    #[must_use]
    pub fn convert(self, to: Kind) -> Self {
        let mailboxes: HashSet<&str> = self.mailboxes.iter().map(|m| m.name.as_str()).collect();
        let mut taken: HashSet<String> = OURS.map(String::from).into();
        for file in &self.files {
            let above = file.name.match_indices('/').map(|(at, _)| at);
            taken.extend(above.filter_map(|at| file.name.get(..at)).map(String::from));
            if !mailboxes.contains(file.name.as_str()) {
                taken.insert(file.name.clone());
            }
        }
        let rows: HashSet<String> = self.files.iter().map(|file| file.name.clone()).collect();
        let stays = |mailbox: &&Mailbox| mailbox.kind == Kind::Cms || mailbox.kind == to;
        taken.extend(self.mailboxes.iter().filter(stays).map(|m| m.out.clone()));
        let mut found = Self::default();
        let mut mailboxes = self.mailboxes.into_iter().peekable();
        let mut folders: HashMap<String, usize> = HashMap::new();
        for file in self.files {
            let mailbox = mailboxes.next_if(|mailbox| mailbox.name == file.name);
            let Some(mut mailbox) = mailbox else {
                found.files.push(file);
                continue;
            };
            let single = mailbox.kind == Kind::Eml;
            if stays(&&mailbox) {
                found.mailboxes.push(mailbox);
            } else if let Some((folder, _)) = file.name.rsplit_once('/').filter(|_| single) {
                let place = *folders.entry(folder.to_owned()).or_insert_with(|| {
                    let alone = !rows.contains(folder);
                    found.gather(folder, alone, &file, to, &mut taken)
                });
                if let Some(gathered) = found.mailboxes.get_mut(place) {
                    gathered.parts.push(mailbox);
                }
            } else {
                mailbox.to = to;
                mailbox.out = free(&mailbox.out, to, &mut taken);
                found.mailboxes.push(mailbox);
            }
            found.files.push(file);
        }
        found
    }

    /// Adds the mailbox that gathers the messages in `folder`, which has no row yet if it is
    /// `alone`; gives its place.
    fn gather(
        &mut self,
        folder: &str,
        alone: bool,
        first: &SourceFile,
        to: Kind,
        taken: &mut HashSet<String>,
    ) -> usize {
        let path = first.origin.path().parent().unwrap_or(Path::new(""));
        let name = if alone {
            folder.to_owned()
        } else {
            format!("{folder}/")
        };
        let mut gathered = Mailbox::new(name.clone(), path.to_path_buf(), Kind::Eml);
        gathered.to = to;
        gathered.out = if alone && to == Kind::Maildir {
            // A Maildir is a folder, and can be this one.
            folder.to_owned()
        } else {
            free(folder, to, taken)
        };
        self.files.push(SourceFile {
            name,
            origin: gathered.origin.clone(),
            kind: "folder".into(),
            bytes: 0,
            status: FileStatus::Read,
        });
        self.mailboxes.push(gathered);
        self.mailboxes.len() - 1
    }
}

/// The name below the output folder for what was `name` and is written as `to`.
fn free(name: &str, to: Kind, taken: &mut HashSet<String>) -> String {
    let stem = [".mbox", ".mbx", ".eml"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .filter(|stem| relative(stem).is_ok())
        .unwrap_or(name);
    let wanted = match to {
        Kind::Mbox => format!("{stem}.mbox"),
        Kind::Maildir | Kind::Eml | Kind::Cms => stem.to_owned(),
    };
    let numbered = (2_u64..).map(|number| format!("{wanted}#{number}"));
    let names = [wanted.clone(), name.to_owned()]
        .into_iter()
        .chain(numbered);
    let mut names = names.skip_while(|name| !taken.insert(name.clone()));
    names.next().unwrap_or(wanted)
}
