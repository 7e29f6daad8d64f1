//! State that can be kept and set back: a world that runs again and again is made once and undone after each run.
//!
//! What is kept of an object is a twin of it: another object of the same type, in the state of that moment. [`keep!`](crate::keep)
//! writes that for a struct from the names of its fields, and the compiler refuses a list that leaves a field out. What a run makes
//! hangs off collections that are set back, and goes with them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// State that can be kept and set back, between runs only.
pub trait Keep: Sized {
    /// A twin, which keeps the state as it is now.
    #[must_use]
    fn keep(&self) -> Self;

    /// Back to the state of `kept`, which is a twin of this object.
    fn set_back(&self, kept: &Self);
}

impl<T: Copy> Keep for Cell<T> {
    fn keep(&self) -> Self {
        self.clone()
    }
    #[inline]
    fn set_back(&self, kept: &Self) {
        self.set(kept.get());
    }
}

impl<T: Clone> Keep for RefCell<T> {
    fn keep(&self) -> Self {
        self.clone()
    }
    #[inline]
    fn set_back(&self, kept: &Self) {
        self.borrow_mut().clone_from(&kept.borrow());
    }
}

impl<T: Keep> Keep for Option<T> {
    fn keep(&self) -> Self {
        self.as_ref().map(T::keep)
    }
    fn set_back(&self, kept: &Self) {
        if let (Some(own), Some(kept)) = (self, kept) {
            own.set_back(kept);
        }
    }
}

/// The object behind it; whoever else holds it sees it set back.
impl<T: Keep> Keep for Rc<T> {
    fn keep(&self) -> Self {
        Self::new((**self).keep())
    }
    fn set_back(&self, kept: &Self) {
        (**self).set_back(kept);
    }
}

impl<T: Keep> Keep for Box<[T]> {
    fn keep(&self) -> Self {
        self.iter().map(T::keep).collect()
    }
    #[inline]
    fn set_back(&self, kept: &Self) {
        self.iter().zip(kept).for_each(|(own, kept)| own.set_back(kept));
    }
}

impl<T: Keep> Keep for Vec<T> {
    fn keep(&self) -> Self {
        self.iter().map(T::keep).collect()
    }
    fn set_back(&self, kept: &Self) {
        self.iter().zip(kept).for_each(|(own, kept)| own.set_back(kept));
    }
}

impl<T: Keep, const N: usize> Keep for [T; N] {
    fn keep(&self) -> Self {
        std::array::from_fn(|n| self[n].keep())
    }
    #[inline]
    fn set_back(&self, kept: &Self) {
        self.iter().zip(kept).for_each(|(own, kept)| own.set_back(kept));
    }
}

/// `keep!(SwapArea: flags, map; fixed device, priority)` makes a struct one that can be kept: its state, then what never changes
/// or is another's to keep, which is cloned.
#[macro_export]
macro_rules! keep {
    ($name:ident: $($state:ident),* $(; fixed $($fixed:ident),*)?) => {
        impl $crate::Keep for $name {
            fn keep(&self) -> Self {
                Self {
                    $($state: $crate::Keep::keep(&self.$state),)*
                    $($($fixed: ::std::clone::Clone::clone(&self.$fixed),)*)?
                }
            }
            #[inline]
            fn set_back(&self, _kept: &Self) {
                $($crate::Keep::set_back(&self.$state, &_kept.$state);)*
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Inner {
        count: Cell<u32>,
        list: RefCell<Vec<u32>>,
        name: &'static str,
    }
    crate::keep!(Inner: count, list; fixed name);

    struct Outer {
        shared: Rc<Inner>,
        all: Box<[Cell<u8>]>,
        pair: [Cell<u8>; 2],
        perhaps: Option<Cell<u8>>,
    }
    crate::keep!(Outer: shared, all, pair, perhaps);

    #[test]
    fn what_is_kept_comes_back_and_who_shares_it_sees_that() {
        let inner = Inner { count: Cell::new(1), list: RefCell::new(vec![1, 2]), name: "inner" };
        let outer = Outer {
            shared: Rc::new(inner),
            all: Box::new([Cell::new(3)]),
            pair: [Cell::new(4), Cell::new(5)],
            perhaps: Some(Cell::new(6)),
        };
        let sharer = Rc::clone(&outer.shared);
        let kept = outer.keep();
        sharer.count.set(7);
        sharer.list.borrow_mut().push(7);
        outer.all[0].set(7);
        outer.pair[1].set(7);
        outer.perhaps.as_ref().expect("it is there").set(7);
        assert_eq!((kept.shared.count.get(), kept.shared.name), (1, "inner"), "a twin is its own");
        outer.set_back(&kept);
        assert_eq!((sharer.count.get(), &*sharer.list.borrow()), (1, &vec![1, 2]));
        let rest = (outer.all[0].get(), outer.pair[1].get(), outer.perhaps.map(Cell::into_inner));
        assert_eq!(rest, (3, 5, Some(6)));
    }
}
