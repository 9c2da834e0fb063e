//! Drafts alone: who may do what with one, and how they are kept.

use super::*;
use crate::notice::NoticeVersion;

fn deed(by: &str) -> Deed {
    Deed { by: by.to_owned(), at: "2026-11-23T12:00:00Z".parse().unwrap() }
}

fn draft() -> Draft {
    let sources = PolicySources::default();
    let like = NoticeSource { text: "Words.".to_owned(), ..NoticeSource::default() };
    let version: NoticeVersion = "2027-01-01".parse().unwrap();
    let mut draft = Draft::begin(version, &like, &sources, deed("ada"));
    draft.reason = "the words were wrong".to_owned();
    draft
}

fn submitted(by: &str, needs: usize) -> Submitted {
    Submitted { deed: deed(by), needs, weighty: Vec::new(), digest: "d".to_owned() }
}

#[test]
fn nobody_approves_what_they_wrote_and_nobody_twice() {
    let mut draft = draft();
    assert_eq!(draft.approve(deed("eve")), Err(StepError::NotSubmitted));
    draft.write("More.".to_owned(), String::new(), draft.reason.clone(), deed("bob"));
    draft.submit(submitted("ada", 2)).unwrap();
    assert_eq!(draft.approve(deed("ada")), Err(StepError::Own));
    assert_eq!(draft.approve(deed("bob")), Err(StepError::Own));
    draft.approve(deed("eve")).unwrap();
    assert_eq!(draft.state(), State::Waiting(1));
    assert_eq!(draft.approve(deed("eve")), Err(StepError::Twice));
    draft.approve(deed("kim")).unwrap();
    assert_eq!(draft.state(), State::Approved);
    assert_eq!(draft.can_activate(&PolicySources::default()), Ok(()));
}

#[test]
fn what_changes_takes_back_the_approvals() {
    let mut draft = draft();
    draft.submit(submitted("ada", 1)).unwrap();
    draft.approve(deed("eve")).unwrap();
    let (text, meaning, reason) = (draft.text.clone(), draft.meaning.clone(), draft.reason.clone());
    draft.write(text.clone(), meaning.clone(), reason.clone(), deed("ada"));
    assert_eq!(draft.state(), State::Approved, "nothing was changed");
    draft.write(format!("{text} "), meaning, reason, deed("ada"));
    assert_eq!((draft.state(), draft.approvals.len()), (State::Writing, 0));
}

#[test]
fn a_draft_on_old_policies_is_not_put_in_force() {
    let mut draft = draft();
    draft.submit(submitted("ada", 1)).unwrap();
    draft.approve(deed("eve")).unwrap();
    let other = PolicySources { vocabulary: "changed".to_owned(), ..PolicySources::default() };
    assert_eq!(draft.can_activate(&other), Err(StepError::OldBase));
    draft.rebase(&other, deed("ada"));
    assert_eq!(draft.state(), State::Writing, "it has to be approved again");
    assert!(draft.is_on(&other));
}

#[test]
fn a_name_is_nothing_but_digits() {
    assert!(DraftId::random().as_str().parse::<DraftId>().is_ok());
    for bad in ["", "../../../etc", "0123456789a", "0123456789AB", "0123456789abc"] {
        assert_eq!(bad.parse::<DraftId>(), Err(NotADraft), "{bad}");
    }
}

#[test]
fn the_digest_of_the_text_goes_into_the_header_alone() {
    let meaning =
        "title = \"T\"\nsha256 = \"old\"\n\n[[clause]]\nid = \"a\"\nsha256 = \"no key\"\n";
    let sealed = seal(meaning, "Words.");
    assert!(sealed.contains(&format!("sha256 = \"{}\"\n\n[[clause]]", text_digest("Words."))));
    assert!(sealed.ends_with("sha256 = \"no key\"\n"));
}

#[test]
fn drafts_are_kept_as_they_are_and_unreadable_ones_left_out() {
    let place = tempfile::tempdir().unwrap();
    let drafts = Drafts::new(place.path().join("drafts"));
    assert!(drafts.all().unwrap().is_empty());
    let mut one = draft();
    drafts.keep(&mut one).unwrap();
    std::fs::write(place.path().join("drafts/broken.json"), "{").unwrap();
    assert_eq!(drafts.all().unwrap(), vec![one.clone()]);
    assert_eq!(drafts.read(&one.id).unwrap(), one);
    assert_eq!(one.open(0), Err(StepError::Changed));
    assert_eq!(one.open(1), Ok(()));
    let other = drafts.read(&DraftId::random());
    assert!(matches!(other, Err(StoreError::NoSuchDraft)));
}

/// A copy of the sample's policy folder, and a draft that says something else in it.
fn folder_and_draft(version: &str) -> (tempfile::TempDir, PolicySources, Draft, PolicySources) {
    fn copy(from: &std::path::Path, to: &std::path::Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &target),
                false => drop(std::fs::copy(entry.path(), &target).unwrap()),
            }
        }
    }
    let place = tempfile::tempdir().unwrap();
    copy(std::path::Path::new("policies"), place.path());
    let notices = place.path().join("notices");
    std::fs::write(notices.join("2026-03-01/counsel.txt"), "Seen.").unwrap();
    let sources = crate::folder::read(place.path()).unwrap();
    let like = sources.notices.last().unwrap().clone();
    let mut draft = Draft::begin(version.parse().unwrap(), &like, &sources, deed("ada"));
    draft.meaning = draft.meaning.replace("text = \"notice.md\"", "text = \"words.md\"");
    let with = Checked::of(&draft, &sources).sources;
    (place, sources, draft, with)
}

#[test]
fn a_version_takes_its_place_as_a_whole_and_can_be_taken_out_again() {
    for version in ["2026-03-01", "2027-01-01"] {
        let (place, sources, draft, with) = folder_and_draft(version);
        let undo = put(place.path(), &draft, &sources, &with).unwrap();
        assert_eq!(crate::folder::read(place.path()).unwrap(), with, "{version}");
        assert_eq!(
            put(place.path(), &draft, &sources, &with).unwrap_err().to_string(),
            ApplyError::Changed.to_string()
        );
        undo.undo().unwrap();
        assert_eq!(crate::folder::read(place.path()).unwrap(), sources, "{version}");
        let undo = put(place.path(), &draft, &sources, &with).unwrap();
        undo.done();
        assert_eq!(crate::folder::read(place.path()).unwrap(), with);
        let notices = place.path().join("notices");
        let names = std::fs::read_dir(&notices).unwrap();
        let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
        assert!(!names.flatten().any(|entry| hidden(&entry.file_name())), "nothing is left beside");
        let kept = notices.join("2026-03-01");
        assert_eq!(std::fs::read_to_string(kept.join("counsel.txt")).unwrap(), "Seen.");
        let text = if version == "2026-03-01" { "words.md" } else { "notice.md" };
        assert_eq!(kept.join("notice.md").exists(), text == "notice.md");
    }
}
