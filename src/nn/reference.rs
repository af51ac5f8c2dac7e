//! A slow, plain network in double precision, to test the fast one against.
