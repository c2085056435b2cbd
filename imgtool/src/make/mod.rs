//! Making images: what was changed becomes a layer, and a layer more an image more.
//!
//! ```text
//! change   instructions of a Dockerfile that change a configuration; health: how to see whether a container is well
//! layer    a tree to a blob of the store and to its unpacked layer, in one pass
//! commit   a layer, a configuration and a manifest on those of a base
//! compress layers that are not compressed, for a registry
//! import   a tar of a whole root file system to an image of one layer
//! view     the tree of an image of the store, without a mount
//! ```

mod change;
mod commit;
mod compress;
mod health;
mod import;
mod layer;
mod view;

pub use change::{ChangeError, ConfigChange};
pub use commit::{Changes, CommitError, CommitOptions, commit, image_of_layer};
pub use compress::{compress, is_plain_layer};
pub use import::{ImportError, import};
pub use layer::{AddLayerError, NewLayer, add_layer, add_tar};
pub use view::{ViewError, tree_of, unpack_missing};
