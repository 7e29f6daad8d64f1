//! Options whose values are names from a list that a library has: possible values, help and refusals follow from the list.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A name, what it is, and what it stands for.
pub(crate) type Named<T> = (&'static str, &'static str, T);

/// A parser that takes one name of `list`.
pub(crate) fn one_of<T>(list: impl IntoIterator<Item = Named<T>>) -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
{
    let list: Vec<_> = list.into_iter().collect();
    let values = list.iter().map(|&(name, about, _)| PossibleValue::new(name).help(about));
    PossibleValuesParser::new(values).map(move |typed| {
        let known = list.iter().find(|(name, ..)| *name == typed);
        known.expect("only names of the list are taken").2.clone()
    })
}
