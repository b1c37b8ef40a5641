//! Files whose checksums are right and whose content is not.

use super::*;

/// A store of four blocks, changed through redb, so that every checksum is right.
fn tampered(tamper: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> StoreError {
    let genesis = small_genesis();
    let file = SimulatedFile::default();
    let store = Store::create_on(file.clone(), &genesis).expect("no fault");
    for block in some_blocks(&genesis, 4) {
        store.commit(block.write()).expect("no fault");
    }
    store.write("tampering", tamper).expect("no fault");
    drop(store);
    Store::open_on(file, CHAIN).expect_err("tampered with")
}

#[test]
fn a_newest_block_that_does_not_hold_together_is_damage() {
    type Tamper = fn(&WriteTransaction) -> Result<(), redb::Error>;
    let ways: [(&str, Tamper); 9] = [
        ("marks of a block that it has not", |write| {
            let mut marks = write.open_table(tables::MARKS)?;
            Ok(marks.retain(|(kind, _, height), _| (kind, height) != (0, 4))?)
        }),
        ("no header", |write| {
            Ok(write.open_table(tables::HEADERS)?.retain(|_, _| false)?)
        }),
        ("an older header", |write| {
            write.open_table(tables::HEADERS)?.remove(4)?;
            Ok(())
        }),
        ("header of other bytes", |write| {
            write
                .open_table(tables::HEADERS)?
                .insert(4, &[1_u8, 2][..])?;
            Ok(())
        }),
        ("no body", |write| {
            write.open_table(tables::BLOCKS)?.remove(4)?;
            Ok(())
        }),
        ("another batch", |write| {
            let body = (Batch::empty(), Vec::<u32>::new()).encode();
            write
                .open_table(tables::BLOCKS)?
                .insert(4, body.as_slice())?;
            Ok(())
        }),
        ("no receipts", |write| {
            let receipts = Vec::<Receipt>::new().encode();
            write
                .open_table(tables::RECEIPTS)?
                .insert(4, receipts.as_slice())?;
            Ok(())
        }),
        ("another log", |write| {
            let log = HeaderLog::default().encode();
            write
                .open_table(tables::META)?
                .insert(tables::LOG, log.as_slice())?;
            Ok(())
        }),
        ("another leaf", |write| {
            write
                .open_table(tables::LOG_NODES)?
                .insert((2, 0), &[1; 32])?;
            Ok(())
        }),
    ];
    for (what, tamper) in ways {
        let error = tampered(tamper);
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{what}: {error}"
        );
    }
}

#[test]
fn what_is_no_ledger_of_ours_is_named() {
    let file = SimulatedFile::default();
    let error = Store::open_on(file.clone(), CHAIN).expect_err("empty");
    assert!(matches!(error, StoreError::NotALedger { .. }), "{error}");
    assert!(file.bytes().is_empty(), "opening makes nothing");
    let file = SimulatedFile::of(vec![7; 100_000], &SimulatedDisk::default());
    let error = Store::open_on(file, CHAIN).expect_err("other bytes");
    assert!(matches!(error, StoreError::NotALedger { .. }), "{error}");

    let file = SimulatedFile::default();
    let database = open_database(file.clone(), false).expect("no fault");
    let write = database.begin_write().expect("no fault");
    let other: TableDefinition<'_, u64, u64> = TableDefinition::new("headers");
    write
        .open_table(other)
        .expect("no fault")
        .insert(1, 2)
        .expect("no fault");
    write.commit().expect("no fault");
    drop(database);
    let error = Store::open_on(file, CHAIN).expect_err("another database");
    assert!(matches!(error, StoreError::NotALedger { .. }), "{error}");

    let error = tampered(|write| {
        write
            .open_table(tables::META)?
            .insert(tables::SCHEMA, 5_u16.encode().as_slice())?;
        Ok(())
    });
    assert!(
        matches!(
            error,
            StoreError::Schema {
                found: 5,
                supported: 4
            }
        ),
        "{error}"
    );
    // As a version made it that had no index.
    let error = tampered(|write| {
        write.delete_table(tables::MARKS)?;
        write.delete_table(tables::GAPS)?;
        write
            .open_table(tables::META)?
            .insert(tables::SCHEMA, 1_u16.encode().as_slice())?;
        Ok(())
    });
    assert!(
        matches!(
            error,
            StoreError::Schema {
                found: 1,
                supported: 4
            }
        ),
        "{error}"
    );
    let error = tampered(|write| {
        write
            .open_table(tables::META)?
            .insert(tables::CHAIN, &[6; 32][..])?;
        Ok(())
    });
    assert!(matches!(error, StoreError::OtherChain { .. }), "{error}");
    let error = tampered(|write| {
        write.open_table(tables::META)?.remove(tables::CHAIN)?;
        Ok(())
    });
    assert!(matches!(error, StoreError::NotALedger { .. }), "{error}");
}
