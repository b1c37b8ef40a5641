//! What the model remembers: the statements that were signed, and what each validator keeps.

/// A view number, from 0.
pub type View = u8;
/// How many slots; slot s of the protocol (from 1) is index s - 1 here.
pub type Slots = u8;

/// Validators: the smallest set that tolerates one liar.
pub const VALIDATORS: usize = 4;
/// Most views a model can have.
pub const VIEWS_MAX: usize = 4;
/// Most slots a model can have.
pub const SLOTS_MAX: usize = 3;

/// What a slot can be given: one of two batches, or the constant empty batch that fills a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Batch {
    /// The first batch that is named in its slot.
    Alpha,
    /// The other one.
    Beta,
    /// The constant empty batch.
    Empty,
}

impl Batch {
    /// Everything that can be in a slot.
    pub const ALL: [Self; 3] = [Self::Alpha, Self::Beta, Self::Empty];

    /// The same with the two proposable batches exchanged.
    #[must_use]
    pub fn renamed(self) -> Self {
        match self {
            Self::Alpha => Self::Beta,
            Self::Beta => Self::Alpha,
            Self::Empty => Self::Empty,
        }
    }
}

/// A set of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Batches(u8);

impl Batches {
    /// Whether `batch` is in it.
    #[must_use]
    pub fn contains(self, batch: Batch) -> bool {
        self.0 & (1 << batch as u8) != 0
    }

    /// Puts `batch` into it.
    pub fn insert(&mut self, batch: Batch) {
        self.0 |= 1 << batch as u8;
    }

    /// Puts all of `other` into it.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// How many are in it.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Batch> {
        Batch::ALL.into_iter().filter(move |b| self.contains(*b))
    }

    fn renamed(self) -> Self {
        let mut renamed = Self::default();
        self.iter().for_each(|b| renamed.insert(b.renamed()));
        renamed
    }
}

/// A prepared certificate: that a quorum accepted `batch` in `view`, in the slot it is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certificate {
    /// The view of its votes.
    pub view: View,
    /// What they are for.
    pub batch: Batch,
}

/// What a VIEW-CHANGE says; its signer and view are where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewChange {
    /// Slots up to here are covered by the checkpoint certificate it carries.
    pub base: Slots,
    /// Of each later slot the prepared certificate, if any.
    pub prepared: [Option<Certificate>; SLOTS_MAX],
}

/// What a NEW-VIEW makes of the VIEW-CHANGEs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection {
    /// Slots up to here are covered by a checkpoint certificate: nobody votes there again.
    pub base: Slots,
    /// What is carried into the view; later slots are free.
    pub carried: [Option<Batch>; SLOTS_MAX],
}

/// What one validator signed, and remembers to have signed, for one slot of one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// What it remembers to have accepted.
    pub accepted: Option<Batch>,
    /// What it signed a PRE-PREPARE or a PREPARE for.
    pub prepares: Batches,
    /// What it signed a COMMIT for.
    pub commits: Batches,
}

/// One validator. Nothing in it is lost in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Validator {
    /// A liar signs whatever it likes, so nothing of it is kept.
    pub liar: bool,
    /// The low water mark: slots up to here are under a checkpoint certificate that it has.
    pub low: Slots,
    /// The view whose NEW-VIEW it accepted last; 0 needs none.
    pub active: View,
    /// The highest view it signed a VIEW-CHANGE for; 0 if it signed none.
    pub target: View,
    /// What the NEW-VIEW of its active view selected.
    pub selection: Option<Selection>,
    /// Its votes.
    pub votes: [[Place; SLOTS_MAX]; VIEWS_MAX],
    /// Of each slot above low the prepared certificate of the highest view.
    pub prepared: [Option<Certificate>; SLOTS_MAX],
    /// The VIEW-CHANGEs it signed.
    pub view_changes: [Option<ViewChange>; VIEWS_MAX],
}

/// A state of the whole system. Messages are not sent to anybody: whoever needs a statement that
/// was signed may have received it, and whoever does not act on it has not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// In the order of their indices, until the model renames those that lead no later view.
    pub validators: [Validator; VALIDATORS],
    /// The NEW-VIEWs that correct primaries signed.
    pub new_views: [Option<Selection>; VIEWS_MAX],
    /// What some quorum accepted: the prepared certificates that exist.
    pub certificates: [[Batches; SLOTS_MAX]; VIEWS_MAX],
    /// What a quorum of COMMITs exists for: the commit certificates.
    pub committed: [[Batches; SLOTS_MAX]; VIEWS_MAX],
    /// In which slots a batch has been proposed.
    pub named: [bool; SLOTS_MAX],
    /// A correct validator signed a vote in a view below one that it signed a VIEW-CHANGE for.
    pub voted_below: bool,
    /// The view that is being explored, and the rank of the last action; (0, 0) in any order.
    pub cursor: (View, u8),
}

impl State {
    /// Before anything was signed, with these validators lying.
    #[must_use]
    pub fn initial(liars: &[usize]) -> Self {
        let validator = |index| Validator {
            liar: liars.contains(&index),
            low: 0,
            active: 0,
            target: 0,
            selection: None,
            votes: Default::default(),
            prepared: [None; SLOTS_MAX],
            view_changes: [None; VIEWS_MAX],
        };
        Self {
            validators: std::array::from_fn(validator),
            new_views: [None; VIEWS_MAX],
            certificates: Default::default(),
            committed: Default::default(),
            named: [false; SLOTS_MAX],
            voted_below: false,
            cursor: (0, 0),
        }
    }

    /// How far from slot 1 everything is committed: how high a checkpoint certificate can be.
    #[must_use]
    pub fn stable_max(&self) -> Slots {
        let committed = (0..SLOTS_MAX).take_while(|slot| !self.committed_in(*slot).is_empty());
        committed.fold(0, |count, _| count + 1)
    }

    /// What is committed in a slot, in whatever view.
    #[must_use]
    pub fn committed_in(&self, slot: usize) -> Batches {
        let mut all = Batches::default();
        self.committed
            .iter()
            .for_each(|view| all.extend(view[slot]));
        all
    }

    /// The prepared certificates for a slot that exist, of views below `view`.
    #[must_use]
    pub fn certificates_below(&self, view: View, slot: usize) -> Vec<Certificate> {
        (0..view)
            .flat_map(|v| {
                let batches = self.certificates[usize::from(v)][slot].iter();
                batches.map(move |batch| Certificate { view: v, batch })
            })
            .collect()
    }

    /// Exchanges the two batches in one slot.
    pub fn rename_batches(&mut self, slot: usize) {
        let certificate = |c: &mut Option<Certificate>| {
            if let Some(c) = c {
                c.batch = c.batch.renamed();
            }
        };
        let selection = |s: &mut Option<Selection>| {
            if let Some(s) = s {
                s.carried[slot] = s.carried[slot].map(Batch::renamed);
            }
        };
        for validator in &mut self.validators {
            for view in &mut validator.votes {
                let place = &mut view[slot];
                place.accepted = place.accepted.map(Batch::renamed);
                place.prepares = place.prepares.renamed();
                place.commits = place.commits.renamed();
            }
            certificate(&mut validator.prepared[slot]);
            for view_change in validator.view_changes.iter_mut().flatten() {
                certificate(&mut view_change.prepared[slot]);
            }
            selection(&mut validator.selection);
        }
        self.new_views.iter_mut().for_each(selection);
        for view in self.certificates.iter_mut().chain(&mut self.committed) {
            view[slot] = view[slot].renamed();
        }
    }
}
