//! Limits that change: what holds after an `update` that names some of them.

use super::resources::{BlockIo, Cpu, Memory, Network, Pids, Resources, ThrottleDevice, WeightDevice};

/// A number of a changed document. Clients written in Go say 0 for what they do not want to change.
fn given<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

impl Resources {
    /// These limits with those that `change` names in their place. What is listed by device, size, interface or file
    /// is replaced one by one; the device rules depend on each other and are replaced as a whole.
    #[must_use]
    pub fn merged(&self, change: &Self) -> Self {
        let mut merged = self.clone();
        if !change.devices.is_empty() {
            merged.devices.clone_from(&change.devices);
        }
        if let Some(memory) = &change.memory {
            merged.memory = Some(merged.memory.unwrap_or_default().merged(memory));
        }
        if let Some(cpu) = &change.cpu {
            merged.cpu.get_or_insert_default().merge(cpu);
        }
        if let Some(limit) = change.pids.and_then(|pids| pids.limit) {
            merged.pids = Some(Pids { limit: Some(limit) });
        }
        if let Some(block_io) = &change.block_io {
            merged.block_io.get_or_insert_default().merge(block_io);
        }
        put_all(&mut merged.hugepage_limits, &change.hugepage_limits, |one, other| {
            one.page_size == other.page_size
        });
        if let Some(network) = &change.network {
            merged.network.get_or_insert_default().merge(network);
        }
        for (device, rdma) in &change.rdma {
            let limits = merged.rdma.entry(device.clone()).or_default();
            limits.hca_handles = rdma.hca_handles.or(limits.hca_handles);
            limits.hca_objects = rdma.hca_objects.or(limits.hca_objects);
        }
        merged.unified.extend(change.unified.clone());
        merged
    }
}

impl Memory {
    fn merged(self, change: &Self) -> Self {
        // Memory without a limit cannot be part of a limit of memory and swap, which therefore goes with it.
        let swap = if change.limit == Some(-1) { None } else { self.swap };
        Self {
            limit: given(change.limit).or(self.limit),
            reservation: given(change.reservation).or(self.reservation),
            swap: given(change.swap).or(swap),
            kernel: given(change.kernel).or(self.kernel),
            kernel_tcp: given(change.kernel_tcp).or(self.kernel_tcp),
            swappiness: change.swappiness.or(self.swappiness),
            disable_oom_killer: change.disable_oom_killer.or(self.disable_oom_killer),
            use_hierarchy: change.use_hierarchy.or(self.use_hierarchy),
            // How this one change is made, and nothing that lasts.
            check_before_update: change.check_before_update,
        }
    }
}

impl Cpu {
    fn merge(&mut self, change: &Self) {
        self.shares = given(change.shares).or(self.shares);
        self.quota = given(change.quota).or(self.quota);
        self.burst = change.burst.or(self.burst);
        self.period = given(change.period).or(self.period);
        self.realtime_runtime = given(change.realtime_runtime).or(self.realtime_runtime);
        self.realtime_period = given(change.realtime_period).or(self.realtime_period);
        self.idle = change.idle.or(self.idle);
        for (own, new) in [(&mut self.cpus, &change.cpus), (&mut self.mems, &change.mems)] {
            if !new.is_empty() {
                own.clone_from(new);
            }
        }
    }
}

impl BlockIo {
    fn merge(&mut self, change: &Self) {
        self.weight = given(change.weight).or(self.weight);
        self.leaf_weight = given(change.leaf_weight).or(self.leaf_weight);
        for wish in &change.weight_device {
            let same = |own: &&mut WeightDevice| (own.major, own.minor) == (wish.major, wish.minor);
            match self.weight_device.iter_mut().find(same) {
                Some(own) => {
                    own.weight = given(wish.weight).or(own.weight);
                    own.leaf_weight = given(wish.leaf_weight).or(own.leaf_weight);
                }
                None => self.weight_device.push(*wish),
            }
        }
        let same = |one: &ThrottleDevice, other: &ThrottleDevice| {
            (one.major, one.minor) == (other.major, other.minor)
        };
        put_all(&mut self.throttle_read_bps_device, &change.throttle_read_bps_device, same);
        put_all(&mut self.throttle_write_bps_device, &change.throttle_write_bps_device, same);
        put_all(&mut self.throttle_read_iops_device, &change.throttle_read_iops_device, same);
        put_all(&mut self.throttle_write_iops_device, &change.throttle_write_iops_device, same);
    }
}

impl Network {
    fn merge(&mut self, change: &Self) {
        self.class_id = given(change.class_id).or(self.class_id);
        put_all(&mut self.priorities, &change.priorities, |one, other| one.name == other.name);
    }
}

/// Puts each of `new` in the place of the one that is about the same thing, or at the end.
fn put_all<T: Clone>(list: &mut Vec<T>, new: &[T], same: impl Fn(&T, &T) -> bool) {
    for wish in new {
        match list.iter_mut().find(|own| same(own, wish)) {
            Some(own) => own.clone_from(wish),
            None => list.push(wish.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_resources;

    fn merged(before: &str, change: &str) -> serde_json::Value {
        let parse = |text: &str| parse_resources(text.as_bytes()).expect("resources");
        serde_json::to_value(parse(before).merged(&parse(change))).expect("JSON")
    }

    #[test]
    fn what_a_change_does_not_name_stays_and_0_names_nothing() {
        let before = r#"{"memory":{"limit":9,"swap":20},"cpu":{"quota":5,"period":7,"cpus":"0-1"},"pids":{"limit":3}}"#;
        let change = r#"{"memory":{"limit":10,"swap":0},"cpu":{"quota":6,"period":0,"cpus":""},"pids":{}}"#;
        assert_eq!(
            merged(before, change),
            serde_json::json!({"memory": {"limit": 10, "swap": 20},
                "cpu": {"quota": 6, "period": 7, "cpus": "0-1"}, "pids": {"limit": 3}})
        );
    }

    #[test]
    fn memory_without_a_limit_loses_that_of_memory_and_swap() {
        let after = merged(r#"{"memory":{"limit":9,"swap":20}}"#, r#"{"memory":{"limit":-1}}"#);
        assert_eq!(after, serde_json::json!({"memory": {"limit": -1}}));
    }

    #[test]
    fn lists_are_merged_by_what_their_entries_are_about() {
        let before = r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],
            "weightDevice":[{"major":8,"minor":0,"weight":10,"leafWeight":20}]},
            "hugepageLimits":[{"pageSize":"2MB","limit":1}],"unified":{"a.b":"1","c.d":"2"},
            "rdma":{"mlx":{"hcaHandles":1,"hcaObjects":2}},
            "network":{"priorities":[{"name":"lo","priority":1}]}}"#;
        let change = r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":2},
            {"major":8,"minor":1,"rate":3}],"weightDevice":[{"major":8,"minor":0,"weight":30}]},
            "hugepageLimits":[{"pageSize":"2MB","limit":4},{"pageSize":"1GB","limit":5}],"unified":{"c.d":"3"},
            "rdma":{"mlx":{"hcaObjects":9}},"network":{"priorities":[{"name":"lo","priority":7}]}}"#;
        let after = merged(before, change);
        let io = &after["blockIO"];
        assert_eq!(io["throttleReadBpsDevice"][0]["rate"], 2);
        assert_eq!(io["throttleReadBpsDevice"][1]["minor"], 1);
        assert_eq!(
            io["weightDevice"][0],
            serde_json::json!({"major": 8, "minor": 0, "weight": 30, "leafWeight": 20})
        );
        assert_eq!(
            (&after["hugepageLimits"][0]["limit"], &after["hugepageLimits"][1]["limit"]),
            (&4.into(), &5.into())
        );
        assert_eq!(after["unified"], serde_json::json!({"a.b": "1", "c.d": "3"}));
        assert_eq!(after["rdma"]["mlx"], serde_json::json!({"hcaHandles": 1, "hcaObjects": 9}));
        assert_eq!(after["network"]["priorities"], serde_json::json!([{"name": "lo", "priority": 7}]));
    }

    #[test]
    fn device_rules_are_replaced_as_a_whole() {
        let before = r#"{"devices":[{"allow":false},{"allow":true,"type":"c","major":1}]}"#;
        assert_eq!(merged(before, "{}")["devices"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            merged(before, r#"{"devices":[{"allow":false}]}"#)["devices"].as_array().map(Vec::len),
            Some(1)
        );
    }
}
