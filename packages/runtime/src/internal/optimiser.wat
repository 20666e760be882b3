;; What follows a step's gradients, over flat arrays, four numbers at a time. See the optimiser's ops in @uninet/graph for the rules.
(module
  (import "env" "memory" (memory 1 65536))

  ;; One step of AdamW; the count is a multiple of four.
  (func (export "adamw")
    (param $p i32) (param $g i32) (param $m i32) (param $v i32) (param $count i32)
    (param $share f32)      ;; what the gradient is multiplied by
    (param $beta1 f32) (param $beta2 f32) (param $epsilon f32)
    (param $kept f32)       ;; 1 - learning rate * weight decay
    (param $stepSize f32)   ;; learning rate / (1 - beta1^t)
    (param $deviation f32)  ;; 1 / sqrt(1 - beta2^t)
    (local $end i32) (local $grad v128) (local $moment v128) (local $square v128)
    (local $b1 v128) (local $b2 v128) (local $c1 v128) (local $c2 v128)
    (local $eps v128) (local $keep v128) (local $step v128) (local $dev v128) (local $part v128)
    (local.set $part (f32x4.splat (local.get $share)))
    (local.set $b1 (f32x4.splat (local.get $beta1)))
    (local.set $b2 (f32x4.splat (local.get $beta2)))
    (local.set $c1 (f32x4.splat (f32.sub (f32.const 1) (local.get $beta1))))
    (local.set $c2 (f32x4.splat (f32.sub (f32.const 1) (local.get $beta2))))
    (local.set $eps (f32x4.splat (local.get $epsilon)))
    (local.set $keep (f32x4.splat (local.get $kept)))
    (local.set $step (f32x4.splat (local.get $stepSize)))
    (local.set $dev (f32x4.splat (local.get $deviation)))
    (local.set $end (i32.add (local.get $p) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $grad (f32x4.mul (v128.load (local.get $g)) (local.get $part)))
        (local.set $moment
          (f32x4.add
            (f32x4.mul (v128.load (local.get $m)) (local.get $b1))
            (f32x4.mul (local.get $grad) (local.get $c1))))
        (v128.store (local.get $m) (local.get $moment))
        (local.set $square
          (f32x4.add
            (f32x4.mul (v128.load (local.get $v)) (local.get $b2))
            (f32x4.mul (f32x4.mul (local.get $grad) (local.get $grad)) (local.get $c2))))
        (v128.store (local.get $v) (local.get $square))
        (v128.store (local.get $p)
          (f32x4.sub
            (f32x4.mul (v128.load (local.get $p)) (local.get $keep))
            (f32x4.mul (local.get $step)
              (f32x4.div (local.get $moment)
                (f32x4.add (f32x4.mul (f32x4.sqrt (local.get $square)) (local.get $dev)) (local.get $eps))))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (br $next))))

  ;; One step of SGD with momentum; the count is a multiple of four.
  (func (export "sgd")
    (param $p i32) (param $g i32) (param $v i32) (param $count i32)
    (param $share f32)      ;; what the gradient is multiplied by
    (param $momentum f32) (param $decay f32) (param $rate f32)
    (param $ahead f32)      ;; Nesterov's: 1, otherwise 0
    (local $end i32) (local $pull v128) (local $velocity v128)
    (local $mu v128) (local $lambda v128) (local $eta v128) (local $part v128)
    (local.set $part (f32x4.splat (local.get $share)))
    (local.set $mu (f32x4.splat (local.get $momentum)))
    (local.set $lambda (f32x4.splat (local.get $decay)))
    (local.set $eta (f32x4.splat (local.get $rate)))
    (local.set $end (i32.add (local.get $p) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $pull
          (f32x4.add
            (f32x4.mul (v128.load (local.get $g)) (local.get $part))
            (f32x4.mul (v128.load (local.get $p)) (local.get $lambda))))
        (local.set $velocity
          (f32x4.add (f32x4.mul (v128.load (local.get $v)) (local.get $mu)) (local.get $pull)))
        (v128.store (local.get $v) (local.get $velocity))
        (if (f32.ne (local.get $ahead) (f32.const 0))
          (then
            (local.set $velocity
              (f32x4.add (local.get $pull) (f32x4.mul (local.get $velocity) (local.get $mu))))))
        (v128.store (local.get $p)
          (f32x4.sub (v128.load (local.get $p)) (f32x4.mul (local.get $velocity) (local.get $eta))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (br $next))))

  ;; The sum of squares, added up in double precision; the count is a multiple of four.
  (func (export "squares") (param $x i32) (param $count i32) (result f64)
    (local $end i32) (local $four v128) (local $low v128) (local $high v128) (local $sum v128)
    (local.set $end (i32.add (local.get $x) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $x) (local.get $end)))
        (local.set $four (v128.load (local.get $x)))
        (local.set $low (f64x2.promote_low_f32x4 (local.get $four)))
        (local.set $high
          (f64x2.promote_low_f32x4
            (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $four) (local.get $four))))
        (local.set $sum
          (f64x2.add
            (local.get $sum)
            (f64x2.add
              (f64x2.mul (local.get $low) (local.get $low))
              (f64x2.mul (local.get $high) (local.get $high)))))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br $next)))
    (f64.add (f64x2.extract_lane 0 (local.get $sum)) (f64x2.extract_lane 1 (local.get $sum))))

  ;; a <- decay * a + (1 - decay) * x, for any count.
  (func (export "average") (param $a i32) (param $x i32) (param $count i32) (param $decay f32)
    (local $fours i32) (local $end i32) (local $rest f32) (local $d v128) (local $r v128)
    (local.set $rest (f32.sub (f32.const 1) (local.get $decay)))
    (local.set $d (f32x4.splat (local.get $decay)))
    (local.set $r (f32x4.splat (local.get $rest)))
    (local.set $fours (i32.add (local.get $a) (i32.shl (i32.and (local.get $count) (i32.const -4)) (i32.const 2))))
    (local.set $end (i32.add (local.get $a) (i32.shl (local.get $count) (i32.const 2))))
    (block $four
      (loop $next
        (br_if $four (i32.ge_u (local.get $a) (local.get $fours)))
        (v128.store (local.get $a)
          (f32x4.add
            (f32x4.mul (v128.load (local.get $a)) (local.get $d))
            (f32x4.mul (v128.load (local.get $x)) (local.get $r))))
        (local.set $a (i32.add (local.get $a) (i32.const 16)))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $a) (local.get $end)))
        (f32.store (local.get $a)
          (f32.add
            (f32.mul (f32.load (local.get $a)) (local.get $decay))
            (f32.mul (f32.load (local.get $x)) (local.get $rest))))
        (local.set $a (i32.add (local.get $a) (i32.const 4)))
        (local.set $x (i32.add (local.get $x) (i32.const 4)))
        (br $next)))))
