//! Shared by all reports: readable numbers and text, HTML, terminal columns, charts and their
//! axes, colours, and the output folder.
//!
//! Pages import the kit; the kit imports no page.

pub(crate) mod axis;
pub(crate) mod card;
pub(crate) mod chart;
pub(crate) mod columns;
pub(crate) mod cost;
pub(crate) mod csv;
pub(crate) mod document;
pub(crate) mod folder;
mod font;
pub(crate) mod hints;
pub(crate) mod html;
pub(crate) mod labels;
pub(crate) mod live;
pub(crate) mod markdown;
pub(crate) mod number;
pub(crate) mod objective;
pub(crate) mod output;
pub(crate) mod palette;
pub(crate) mod picture;
pub(crate) mod plot;
mod png;
pub(crate) mod rules;
pub(crate) mod setting;
pub(crate) mod sheet;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod traffic;
pub(crate) mod verdict;
