//! `ps`: containers in docker's columns.

use crate::cli::{Outcome, PsArgs, complain_of};
use crate::container::{Containers, Root};
use crate::home::Home;
use crate::look::filters::Ancestor;
use crate::look::row::{TITLES, row};
use crate::look::status::is_up;
use crate::look::{Filters, Listed, Listing, size, table};
use mydocker_cmdline::print;
use mydocker_img::cli::{Labels, Moment, Row, short_size};
use mydocker_img::commands::find;
use mydocker_img::digest::Digest;
use mydocker_img::store::Store;

const USUAL: &str =
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const WIDE: &str =
    "table {{.ID}}\t{{.Names}}\t{{.Pid}}\t{{.Status}}\t{{.Command}}\t{{.RunningFor}}\t{{.Image}}\t{{.Ports}}";

/// Lists containers, the newest first. It takes no lock, so that it waits for nobody.
///
/// # Errors
/// A filter or a format that is none; the containers cannot be read.
pub fn ps(args: &PsArgs, home: &Home) -> Outcome {
    let mut listing = Listing::read(&Containers::open(home)?)?;
    let all = std::mem::take(&mut listing.containers);
    let filters = Filters::parse(&args.filter, &all, |image| ancestor(home, image))?;
    let format = format(args);
    let template = table::template(args.format.as_deref(), args.quiet.then_some("{{.ID}}"), &format, TITLES)?;
    let chosen = choose(args, &filters, &all);
    let with_size = args.size || args.format.as_deref().is_some_and(|format| format.contains(".Size"));
    let now = Moment::now();
    let rows = chosen.iter().map(|listed| {
        let size = if with_size { size_of(home, listed)? } else { String::new() };
        Ok((row(listed, now, args.no_trunc, &size), listed.labels()))
    });
    let rows: Result<Vec<(Row, &Labels)>, std::io::Error> = rows.collect();
    print(&template.render_labelled(TITLES, &rows?)?)?;
    let is_whole = listing.damaged.is_empty();
    listing.damaged.into_iter().for_each(complain_of);
    Ok(u8::from(!is_whole))
}

fn format(args: &PsArgs) -> String {
    let usual = if args.wide { WIDE } else { USUAL };
    format!("{usual}{}", if args.size { "\t{{.Size}}" } else { "" })
}

fn choose<'a>(args: &PsArgs, filters: &Filters, all: &'a [Listed]) -> Vec<&'a Listed> {
    let last = if args.latest { Some(1) } else { usize::try_from(args.last).ok() };
    let last = last.filter(|last| *last > 0);
    let with_others = args.all || last.is_some() || filters.ask_for_status();
    let wanted = |listed: &&Listed| (with_others || is_up(listed.state.status)) && filters.take(listed);
    all.iter().filter(wanted).take(last.unwrap_or(usize::MAX)).collect()
}

/// What is known of an image that containers may come from. One that is not in the store has left its name with them.
fn ancestor(home: &Home, text: &str) -> Ancestor {
    let found = Store::open(&home.images()).ok().and_then(|store| {
        let found = find(&store, text).ok()?;
        let image = store.image(&found.target).ok()?;
        Some((found.id, store.layer_keys(&image.config)))
    });
    let (id, layers) = match found {
        Some((id, layers)) => (Some(id.to_string()), layers.iter().map(Digest::to_string).collect()),
        None => (None, Vec::new()),
    };
    Ancestor { text: text.to_owned(), id, layers }
}

/// What the changes take, and with them what they lie on.
fn size_of(home: &Home, listed: &Listed) -> Result<String, std::io::Error> {
    let (own, below) = sizes(home, listed)?;
    Ok(format!("{} (virtual {})", short_size(own), short_size(own + below)))
}

/// What a container's changes take, and what they lie on. Nobody measures a directory of the host.
///
/// # Errors
/// What the kernel says of a directory.
pub fn sizes(home: &Home, listed: &Listed) -> Result<(u64, u64), std::io::Error> {
    let upper = home.container(&listed.container.id).join("upper");
    let own = size::of_directory(&upper).map_err(|(path, error)| {
        std::io::Error::new(error.kind(), format!("cannot read the directory {path:?}: {error}"))
    })?;
    let image = match (&listed.container.root, &listed.container.image) {
        (Root::Layers(_), Some(image)) => Store::open(&home.images()).ok().and_then(|store| {
            let found = store.image(&image.target).ok()?;
            Some(store.image_size(&found))
        }),
        _ => None,
    };
    Ok((own, image.unwrap_or(0)))
}
