//! What every page of a report needs: numbers and text as people read them, HTML, columns for terminals, charts and their
//! axes, colours, and the folder that a report is written into.
//!
//! Nothing here knows a page. Pages import the kit, never the other way round.

pub(crate) mod axis;
pub(crate) mod chart;
pub(crate) mod columns;
pub(crate) mod cost;
pub(crate) mod csv;
pub(crate) mod document;
pub(crate) mod folder;
mod font;
pub(crate) mod html;
pub(crate) mod labels;
pub(crate) mod number;
pub(crate) mod output;
pub(crate) mod palette;
pub(crate) mod picture;
pub(crate) mod plot;
mod png;
pub(crate) mod rules;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod verdict;
