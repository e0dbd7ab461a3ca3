//! Types that state their security status, and the object tree and policy that hold them to it.
